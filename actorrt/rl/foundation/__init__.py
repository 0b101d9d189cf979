"""What the other packages stand on: checks of arguments, optional packages, files of arrays, causes of failures."""
