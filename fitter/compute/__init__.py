"""How numbers are crunched here: threads, products, mailboxes between devices, what the machine has."""
