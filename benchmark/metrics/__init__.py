"""What is measured on predictions: values by scikit-learn, and what each example adds to them."""
