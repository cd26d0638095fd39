// The first process of every pod on the test cluster's node.
module kiln.dev/tools/cluster/programs/pause

go 1.26.0

tool kiln.dev/tools/cluster/programs/pause
