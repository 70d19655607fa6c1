// Command etcd is etcd's server: its own main package can't be installed from its module, which replaces its neighbours.
package main

import (
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"
)

func main() { etcdmain.Main(os.Args) }
