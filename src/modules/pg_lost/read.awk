# Reads pg_waldump's lines and counts what committed transactions did to tables. Lines it prints, parted by tabs:
#   range FIRST LAST RECORDS   tx XID LSN ROWS TIME   rel TABLESPACE/DATABASE/FILE INSERTED UPDATED DELETED NEW
#   sum COMMITTED QUIET ABORTED UNFINISHED
# Rows count only once their transaction committed; a subtransaction's count with its parent's.
function forget(x,   list, n, i) {
  n = split(touched[x], list, " ")
  for (i = 1; i <= n; i++) { delete rows[x, list[i], "i"]; delete rows[x, list[i], "u"]; delete rows[x, list[i], "d"]; delete seen[x, list[i]] }
  delete touched[x]
}
function settle(x,   list, n, i, r, parts, all) {
  n = split(touched[x], list, " ")
  for (i = 1; i <= n; i++) {
    r = list[i]
    ins[r] += rows[x, r, "i"]; upd[r] += rows[x, r, "u"]; del[r] += rows[x, r, "d"]
    split(r, parts, "/")
    # Files below 16384 are the catalogues as initdb made them.
    if (parts[3] >= 16384) all += rows[x, r, "i"] + rows[x, r, "u"] + rows[x, r, "d"]
    known[r] = 1
  }
  forget(x)
  return all + 0
}
function family(x, d,   list, n) {
  split("", kin)
  kin[1] = x
  n = 1
  if (match(d, /subxacts: [0-9 ]+/)) {
    split(substr(d, RSTART + 10, RLENGTH - 10), list, " ")
    for (n = 1; n in list; n++) kin[n + 1] = list[n]
  }
  return n
}
index($0, "rmgr: ") != 1 { next }
{
  at = index($0, "desc: ")
  if (!at) next
  head = substr($0, 1, at - 1)
  d = substr($0, at + 6)
  if (!match(head, /tx: *[0-9]+/)) next
  x = substr(head, RSTART + 3, RLENGTH - 3) + 0
  if (!match(head, /lsn: [0-9A-Fa-f]+\/[0-9A-Fa-f]+/)) next
  lsn = substr(head, RSTART + 5, RLENGTH - 5)
  if (!records++) first = lsn
  last = lsn
  op = d
  sub(/[^A-Za-z_].*/, "", op)
  op = toupper(op)
}
$2 == "Heap" || $2 == "Heap2" {
  count = 1
  if (op == "INSERT") kind = "i"
  else if (op == "UPDATE" || op == "HOT_UPDATE") kind = "u"
  else if (op == "DELETE") kind = "d"
  else if (op == "MULTI_INSERT") {
    kind = "i"
    if (match(d, /ntuples:? *[0-9]+/)) { count = substr(d, RSTART, RLENGTH); sub(/[^0-9]*/, "", count) }
    else if (match(d, /[0-9]+ tuples/)) count = substr(d, RSTART, RLENGTH) + 0
  } else next
  if (!match(d, /rel [0-9]+\/[0-9]+\/[0-9]+/)) next
  r = substr(d, RSTART + 4, RLENGTH - 4)
  if (!((x, r) in seen)) { seen[x, r] = 1; touched[x] = touched[x] " " r }
  rows[x, r, kind] += count
  next
}
$2 == "Transaction" {
  if (op ~ /_PREPARED$/ && match(d, /[0-9]+/)) x = substr(d, RSTART, RLENGTH) + 0
  if (op == "COMMIT" || op == "COMMIT_PREPARED") {
    family(x, d)
    changed = 0
    for (k = 1; k in kin; k++) changed += settle(kin[k])
    if (changed) {
      committed++
      time = ""
      if (match(d, /[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9] [0-9:.]+ [A-Z]+/)) time = substr(d, RSTART, RLENGTH)
      printf "tx\t%s\t%s\t%d\t%s\n", x, lsn, changed, time
    } else quiet++
  } else if (op == "ABORT" || op == "ABORT_PREPARED") {
    family(x, d)
    for (k = 1; k in kin; k++) forget(kin[k])
    aborted++
  }
  next
}
$2 == "Storage" && op == "CREATE" {
  n = split(d, path, "/")
  file = path[n]
  sub(/[^0-9].*/, "", file)
  if (n >= 2) fresh[path[n - 1] "/" file] = 1
}
END {
  for (r in known) {
    split(r, parts, "/")
    printf "rel\t%s\t%d\t%d\t%d\t%d\n", r, ins[r], upd[r], del[r], ((parts[2] "/" parts[3]) in fresh)
  }
  for (x in touched) unfinished++
  printf "range\t%s\t%s\t%d\n", first, last, records
  printf "sum\t%d\t%d\t%d\t%d\n", committed, quiet, aborted, unfinished
}
