"""The operations in SQL, written once for SQLite and PostgreSQL: statements, and what is decided between them."""
