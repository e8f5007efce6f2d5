# Runs the same bench on several hosts that have ferry, over SSH with GNU parallel, and prints one table of all
# results.
parallel -j0 "ssh {} 'ferry bench -q -r 100 --vantage {} --save run-{}.jsonl >&2; cat run-{}.jsonl && rm run-{}.jsonl' >run-{}.jsonl" ::: beijing.example.com frankfurt.example.com && ferry bench report run-*.jsonl
