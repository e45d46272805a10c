"""Training: a run spec and a data set in, a result out. Nothing else in the project trains."""
