"""Whether a model, data set or engine from elsewhere does what Textbench asks of one."""
