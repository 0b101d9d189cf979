"""The daemon's side of the store. It lies below `values`, so it never unpickles."""
