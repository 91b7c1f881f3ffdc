package conformance

import (
	"flag"
	"testing"

	"go.uber.org/goleak"
)

// atOnce is how many cases run at the same time unless -parallel says so: on a
// real server they wait far more than they compute, whatever the number of cores.
const atOnce = "16"

func TestMain(m *testing.M) {
	flag.Parse()
	said := false
	flag.Visit(func(f *flag.Flag) { said = said || f.Name == "test.parallel" })
	if !said {
		if err := flag.Set("test.parallel", atOnce); err != nil {
			panic(err)
		}
	}
	goleak.VerifyTestMain(m)
}
