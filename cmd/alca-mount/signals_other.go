//go:build !unix

package main

import "os"

func surviveSignals() {}

func passedOn() []os.Signal { return []os.Signal{os.Interrupt} }

func stopping() []os.Signal { return []os.Signal{os.Interrupt} }

func exitOf(os.Signal) int { return 130 }
