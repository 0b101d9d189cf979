"""A module that starts a thread when it is imported, which no module of a zygote may do."""

import threading

threading.Thread(target=threading.Event().wait, daemon=True).start()
