"""Used by all other packages: checks of arguments, optional packages, files of arrays, causes of failures."""
