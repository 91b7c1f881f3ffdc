package cachetest

func exclusiveCases() []testCase { return nil }
