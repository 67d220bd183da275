"""taskcat on AWS and on the embedded engine. Not named `taskcat`: beside the scripts that would hide the library."""
