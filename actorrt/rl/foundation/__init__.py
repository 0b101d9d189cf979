"""What all packages of the library stand on: checks of arguments, optional packages, files of arrays, failures."""
