"""One account's dossier: what is known of it, why, and what to do, from wherever it is kept."""
