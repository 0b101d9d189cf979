"""Pure: the objects of one store, who keeps them alive, and the names that they are published under."""
