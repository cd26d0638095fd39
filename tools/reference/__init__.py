"""The reference pages of docs/, made from the code, so that they cannot be out of date."""
