"""The class `Supervisor`, the children that users give it, and the shell that carries out its decisions."""
