package main

import (
	"bytes"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
	"github.com/spf13/pflag"

	"github.com/alca-mount/alca-mount/mirror"
)

func (a *app) completionCommand() *cobra.Command {
	shells := []string{"bash", "fish", "zsh"}
	return &cobra.Command{
		Use:       "completion bash|zsh|fish",
		Short:     "Print a completion script for a shell",
		Example:   "  source <(alca-mount completion bash)",
		ValidArgs: shells,
		Args:      args(1, 1, "one shell: bash, zsh or fish"),
		RunE: func(c *cobra.Command, args []string) error {
			var b bytes.Buffer
			var err error
			switch args[0] {
			case "bash":
				err = c.Root().GenBashCompletionV2(&b, true)
			case "zsh":
				err = c.Root().GenZshCompletion(&b)
			case "fish":
				err = c.Root().GenFishCompletion(&b, true)
			default:
				return fmt.Errorf("completion: no script for %q: expected bash, zsh or fish", args[0])
			}
			if err != nil {
				return fmt.Errorf("completion: %w", err)
			}
			return a.write(b.Bytes())
		},
	}
}

func (a *app) manCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "man DIR|-",
		Short: "Write the manual pages to a directory, or the main one to stdout",
		Args:  args(1, 1, "a directory, or - for stdout"),
		RunE: func(c *cobra.Command, args []string) error {
			root := c.Root()
			root.DisableAutoGenTag = true
			header := &doc.GenManHeader{Title: "ALCA-MOUNT", Section: "1", Source: "alca-mount", Manual: "alca-mount manual"}
			if args[0] != "-" {
				if err := os.MkdirAll(args[0], 0o755); err != nil {
					return fmt.Errorf("man: %w", err)
				}
				return doc.GenManTree(root, header, args[0])
			}
			var b bytes.Buffer
			if err := doc.GenMan(root, header, &b); err != nil {
				return fmt.Errorf("man: %w", err)
			}
			return a.write(b.Bytes())
		},
	}
}

// completeFlags lets the shells offer the words that flags take, and directories where one is meant.
func completeFlags(c *cobra.Command) {
	offer := func(f *pflag.Flag) {
		if words, ok := f.Value.(*choice); ok {
			_ = c.RegisterFlagCompletionFunc(f.Name, cobra.FixedCompletions(words.of, cobra.ShellCompDirectiveNoFileComp)) // told once a flag
		}
		if f.Name == "project" || f.Name == "mirror-dir" {
			_ = c.MarkFlagDirname(f.Name)
		}
	}
	c.LocalFlags().VisitAll(offer)
	for _, sub := range c.Commands() {
		completeFlags(sub)
	}
}

// completeSession offers the sessions that there are, by id and name.
func completeSession(_ *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	state, err := mirror.DefaultStateDir()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	all, err := state.List("")
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var out []string
	for _, s := range all {
		for _, word := range []string{s.ID, s.Name} {
			if word != "" && strings.HasPrefix(word, prefix) {
				out = append(out, word+"\t"+show(s.Project))
			}
		}
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}
