"""What people see: the board, its exports, the plots, and the display of a running sweep."""
