"""Groups of the command ``workbench`` that have a module of their own."""
