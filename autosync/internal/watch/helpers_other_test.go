//go:build !linux

package watch

const limitedEnv = "ALCA_TEST_WATCH_LIMITED"

func backends() []Backend { return []Backend{Notify} }

func limitedMain(string) int { return 2 }
