"""Pure: the objects of one store, what keeps them alive, and the names that they are published under."""
