"""Where models come from, and how their files get into a folder: complete, checked, and only once.
No torch. Each kind of source can list and read; everything else is written once for all of them."""
