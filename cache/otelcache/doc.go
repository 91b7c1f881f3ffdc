// Package otelcache tells OpenTelemetry what larder's caches do: metrics of a
// cache's counters and events, and spans of its loads. It is a module of its own,
// so that package cache needs no OpenTelemetry.
//
//	in, err := otelcache.New(otelcache.Options{Name: "users"})
//	c, err := larder.Open(url, &larder.Options{Observer: in.Observer()})
//	unregister, err := in.Register("redis", c)
//
// # Attributes
//
// Every metric and span has larder.cache.name (Options.Name) if it is given, and
// larder.cache.layer: the part of the cache that reports, as in "memory", "redis"
// or "load". Further ones are named below. error.type is what
// observe.ErrorType says, so one of a few names. No attribute holds a key, a
// value or an error's text.
//
// # Counters of Register
//
// OpenTelemetry has no conventions for caches, so these names are larder's own.
// They are read from cache.Stats when metrics are collected, and cost a call of
// the cache nothing. All count up, except the last two.
//
//	larder.cache.lookups         {lookup}  reads; larder.cache.result: hit, miss
//	larder.cache.sets            {entry}   entries stored, fills included
//	larder.cache.removes         {key}     keys removed by call
//	larder.cache.loads           {load}    loads run
//	larder.cache.load.errors     {load}    loads that ended with an error
//	larder.cache.load.shared     {call}    callers that waited for another's load
//	larder.cache.fill.refused    {fill}    load results not stored
//	larder.cache.lease.lost      {load}    loads that found their lease gone
//	larder.cache.join.refused    {load}    loads in flight that were not joined
//	larder.cache.stale.hits      {value}   values returned past their SoftTTL or TTL
//	larder.cache.refreshes       {load}    loads for entries that were there
//	larder.cache.errors.cached   {error}   errors of earlier loads that were returned
//	larder.cache.evictions       {entry}   entries that left to make room
//	larder.cache.expirations     {entry}   entries that left because of their age
//	larder.cache.undecodable     {entry}   entries that were corrupt, foreign or of another schema
//	larder.cache.server.errors   {call}    calls to the server that failed
//	larder.cache.server.rejected {call}    calls not sent because the breaker was open
//	larder.cache.entries         {entry}   entries held now
//	larder.cache.size            By        their weight
//
// # Metrics of Observer
//
//	larder.cache.events                  {event}  events of every kind but hits and misses:
//	                                              larder.cache.event is the kind, as in fill_refused;
//	                                              larder.cache.operation the operation, as in get;
//	                                              larder.cache.cause an eviction's or expiration's cause
//	                                              or the breaker's state; error.type
//	larder.cache.load.duration           s        of loads; error.type
//	db.client.operation.duration         s        of calls to the server;
//	                                              db.system.name, db.operation.name, error.type
//
// Hits and misses are counted by the caches themselves (larder.cache.lookups):
// for them the observer does nothing. Other events take an atomic addition, loads
// and calls to the server the recording of a histogram besides.
//
// # Spans
//
// A load is a span "larder.load", of kind internal. It is made when the load has
// ended, with the times of its begin and end, as a child of the span of the
// caller that began the load; others that waited for the load have no part in
// it. What the loader does is a sibling of it, not a child.
//
// A call to the server is a span of kind client named by the operation, as in
// "get", if the event's context carries a sampled span to be its parent. Calls that
// share a round trip are a span each.
package otelcache
