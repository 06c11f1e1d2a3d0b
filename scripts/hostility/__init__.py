"""Files that are broken, or made to break what reads them."""
