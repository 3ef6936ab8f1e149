package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/alca-mount/alca-mount/autosync"
	"github.com/alca-mount/alca-mount/launcher"
	"github.com/alca-mount/alca-mount/mirror"
)

// The exit codes of our own; run otherwise exits as CMD does.
const (
	exitPartly = 1   // done in part, or the answer is "there are some"
	exitOwn    = 125 // usage, no such session, own failure
)

// exitError ends the program with a code; err is told unless it is nil.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// app is what the commands share: where they write, the flags that all have, and what does the work.
type app struct {
	stdin          *os.File
	stdout, stderr *os.File
	getenv         func(string) string

	project string // -C
	json    bool
	quiet   bool
	yes     bool // -y
	verbose bool
	noColor bool

	launch func(context.Context, launcher.Options) (launcher.Result, error)
	once   func(context.Context, *mirror.Mirror, autosync.Options) (autosync.Changes, error)
}

func newApp() *app {
	return &app{
		stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, getenv: os.Getenv,
		launch: launcher.Launch, once: autosync.Once,
	}
}

// run executes the command line args and returns the exit code.
func (a *app) run(args []string) int {
	root := a.rootCommand()
	root.SetArgs(args)
	// A nil *os.File would do, but cobra takes "no input given" from nil: the streams are set once, here.
	root.SetIn(a.stdin)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	err := root.ExecuteContext(context.Background())
	if err == nil {
		return 0
	}
	var exit *exitError
	if !errors.As(err, &exit) {
		exit = &exitError{exitOwn, err}
	}
	if exit.err != nil && !errors.Is(exit.err, syscall.EPIPE) {
		a.out().failure(exit.err)
	}
	return exit.code
}

func (a *app) out() *output { return newOutput(a.stderr, a) }

func (a *app) rootCommand() *cobra.Command {
	root := a.runCommand()
	root.Use = "alca-mount [run] [flags] -- CMD [ARG…]"
	root.Long = `alca-mount copies a project to a mirror that leaves out what .agentignore hides and write-protects what
.agentreadonly names, runs CMD there, brings home what CMD may change, and removes the mirror.`
	root.Version = version().String()
	root.SetVersionTemplate("{{.Version}}\n")
	root.SilenceErrors, root.SilenceUsage = true, true
	root.CompletionOptions.DisableDefaultCmd = true
	root.SuggestionsMinimumDistance = 2
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return fmt.Errorf("%w; see %s --help", err, c.CommandPath())
	})
	flags := root.PersistentFlags()
	flags.StringVarP(&a.project, "project", "C", "", "the project's `DIR` (default: the nearest parent with rule files, else the current directory)")
	flags.BoolVar(&a.json, "json", false, "data as JSON")
	flags.BoolVarP(&a.quiet, "quiet", "q", false, "only say what needs attention")
	flags.BoolVarP(&a.verbose, "verbose", "v", false, "say more")
	flags.BoolVar(&a.noColor, "no-color", false, "no colours (as NO_COLOR)")
	flags.BoolVarP(&a.yes, "yes", "y", false, "take the offered choice at prompts")
	root.AddCommand(
		a.namedRunCommand(), a.createCommand(), a.syncCommand(), a.watchCommand(), a.diffCommand(), a.applyCommand(),
		a.discardCommand(), a.undoCommand(), a.rmCommand(), a.recoverCommand(), a.lsCommand(),
		a.explainCommand(), a.initCommand(), a.doctorCommand(), a.configCommand(), a.allowCommand(), a.versionCommand(), a.completionCommand(), a.manCommand(),
		a.orphansCommand(), a.pruneCommand(), a.statusCommand(),
		a.buildCommand(), a.snapshotCommand(), a.overlaysCommand(), a.upCommand(), a.execCommand(), a.downCommand(),
	)
	completeFlags(root)
	return root
}

// unknownCommand is the answer to words before "--" that are no command of ours.
func unknownCommand(c *cobra.Command, word string) error {
	hint := fmt.Sprintf("to run a program of that name: alca-mount -- %s", word)
	if near := c.Root().SuggestionsFor(word); len(near) > 0 {
		hint = fmt.Sprintf("did you mean %s? %s", strings.Join(near, " or "), hint)
	}
	return fmt.Errorf("unknown command %q; %s; commands: alca-mount --help", word, hint)
}

// args returns a check of the number of arguments whose error says what was expected.
func args(least, most int, expected string) cobra.PositionalArgs {
	return func(c *cobra.Command, given []string) error {
		if len(given) < least || most >= 0 && len(given) > most {
			return fmt.Errorf("%s takes %s; %d given; see %s --help", c.Name(), expected, len(given), c.CommandPath())
		}
		return nil
	}
}

// interruptible returns a context that ends at a signal which asks us to stop, and the code to exit with then.
// A second signal of the kind ends the program at once.
func interruptible(parent context.Context) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(parent)
	ch := make(chan os.Signal, 1)
	signal.Notify(ch, unignored(stopping())...)
	go func() {
		select {
		case s := <-ch:
			signal.Stop(ch)
			cancel(&exitError{exitOf(s), fmt.Errorf("stopped by %v", s)})
		case <-ctx.Done():
		}
	}()
	return ctx, func() { signal.Stop(ch); cancel(nil) }
}

// unignored leaves out what we were started to ignore (nohup, a shell's background job).
func unignored(signals []os.Signal) []os.Signal {
	var out []os.Signal
	for _, s := range signals {
		if !signal.Ignored(s) {
			out = append(out, s)
		}
	}
	return out
}

// stopped prefers the signal that ended ctx to the error that came of it.
func stopped(ctx context.Context, err error) error {
	var exit *exitError
	if err != nil && errors.As(context.Cause(ctx), &exit) {
		return exit
	}
	return err
}

// write puts a data command's answer on stdout.
func (a *app) write(data []byte) error {
	_, err := io.Writer(a.stdout).Write(data)
	return err
}
