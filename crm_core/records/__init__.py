"""The engine of business records: what is declared once becomes table, list, form, page, routes, history and recycle bin."""
