"""Figures: what is counted, from which rows, by which formula; and the rows behind each of them. Consoles only draw them."""
