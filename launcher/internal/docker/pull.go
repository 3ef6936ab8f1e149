package docker

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Progress is how far a pull is. Total grows while layers become known.
type Progress struct {
	Done, Total int64 // bytes
}

// readPull reads the messages of a pull to their end: an error is one of them, not the answer's status.
func readPull(r io.Reader, progress func(Progress)) error {
	type message struct {
		ID       string `json:"id"`
		Status   string `json:"status"`
		Error    string `json:"error"`
		Progress struct {
			Current, Total int64
		} `json:"progressDetail"`
	}
	layers := map[string]Progress{}
	for dec := json.NewDecoder(r); ; {
		var m message
		err := dec.Decode(&m)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("the engine's answer: %w", err)
		}
		if m.Error != "" {
			return errors.New(m.Error)
		}
		if m.Status != "Downloading" && m.Status != "Download complete" || m.ID == "" {
			continue
		}
		layer := layers[m.ID]
		if m.Progress.Total > 0 {
			layer = Progress{m.Progress.Current, m.Progress.Total}
		} else {
			layer.Done = layer.Total
		}
		layers[m.ID] = layer
		var sum Progress
		for _, l := range layers {
			sum.Done += l.Done
			sum.Total += l.Total
		}
		if progress != nil {
			progress(sum)
		}
	}
}

// fileLimit is up to which size a file is read out of a container: they are lists of users and the like.
const fileLimit = 1 << 20

// firstFile is the content of the first regular file of a tar stream.
func firstFile(r io.Reader) ([]byte, error) {
	archive := tar.NewReader(r)
	for {
		h, err := archive.Next()
		if err != nil {
			return nil, err
		}
		if h.Typeflag == tar.TypeReg {
			return io.ReadAll(io.LimitReader(archive, fileLimit))
		}
	}
}
