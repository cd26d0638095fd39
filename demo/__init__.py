"""``make demo``: start a server, watch it become Ready, draw one picture, and stop it again.

It knows nothing of the server but its command line and the KServe v2 protocol, so that what it
shows is what any client sees.
"""
