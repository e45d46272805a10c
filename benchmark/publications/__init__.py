"""Publications: published configurations, from their files to measured figures beside them."""
