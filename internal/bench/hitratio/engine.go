package hitratio

import "github.com/larder-go/larder/internal/engine"

func openEngine(size int) Cache {
	e := engine.New(engine.Options[struct{}]{Limits: engine.Limits{Entries: int64(size)}})
	return calls{
		get: func(key uint32) bool { _, ok := e.Get(text(key)); return ok },
		set: func(key uint32) {
			if err := e.Set(engine.NewNode(text(key), struct{}{}, 1, engine.Never, false)); err != nil {
				panic(err)
			}
		},
		end: e.Close,
	}
}
