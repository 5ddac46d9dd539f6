# The answer to the order was lost: what came of it the server knows.
pg_must 'select pg_is_in_recovery()'
reply in_recovery "$pg_out"
