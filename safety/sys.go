package safety

import "sync"

// Op labels a kind of file-system call by what it is for, so that a test can make exactly that one fail.
type Op string

// The labels. Each belongs to one step of one operation.
const (
	OpRootOpen   Op = "ROOT_OPEN"
	OpRootStat   Op = "ROOT_STAT"
	OpParentOpen Op = "PARENT_OPEN"
	OpDirOpen    Op = "DIR_OPEN"
	OpDirStat    Op = "DIR_STAT"
	OpDirRead    Op = "DIR_READ"
	OpDirSync    Op = "FSYNC_DIR"
	OpLstat      Op = "LSTAT"
	OpFileOpen   Op = "FILE_OPEN"
	OpFileStat   Op = "FILE_STAT"
	OpReadlink   Op = "READLINK"
	OpCreate     Op = "CREATE"
	OpMkdir      Op = "MKDIR"
	OpRmdir      Op = "RMDIR"
	OpSymlink    Op = "SYMLINK"
	OpChmod      Op = "CHMOD"
	OpChown      Op = "CHOWN"
	OpSetTimes   Op = "SET_TIMES"
	OpRead       Op = "READ"
	OpCopyWrite  Op = "COPY_WRITE"
	OpXattr      Op = "XATTR"

	OpProbe       Op = "PROBE"
	OpStageCreate Op = "STAGE_CREATE"
	OpStageWrite  Op = "STAGE_WRITE"
	OpStageMeta   Op = "STAGE_META"
	OpStageFsync  Op = "STAGE_FSYNC"
	OpStageStat   Op = "STAGE_STAT"
	OpStageDrop   Op = "STAGE_DROP"
	OpKeepWrite   Op = "KEEP_WRITE"
	OpKeepFsync   Op = "KEEP_FSYNC"
	OpPin         Op = "PIN"
	OpAccess      Op = "ACCESS"
	OpMountRoot   Op = "MOUNT_ROOT"
	OpExchange    Op = "EXCHANGE"
	OpPutBack     Op = "PUT_BACK"
	OpTakeAway    Op = "TAKE_AWAY"
	OpBringIn     Op = "BRING_IN"
	OpLink        Op = "LINK"
	OpInspect     Op = "INSPECT"
	OpDelete      Op = "DELETE"
	OpRestore     Op = "RESTORE"
	OpMoveOut     Op = "MOVE_OUT"
	OpTakeBack    Op = "TAKE_BACK"
	OpDrop        Op = "DROP"
	OpInOpen      Op = "IN_PLACE_OPEN"
	OpInReserve   Op = "IN_PLACE_RESERVE"
	OpInWrite     Op = "IN_PLACE_WRITE"
	OpInMeta      Op = "IN_PLACE_META"
	OpInFsync     Op = "IN_PLACE_FSYNC"
	OpInUndo      Op = "IN_PLACE_UNDO"

	OpJournalOpen  Op = "JOURNAL_OPEN"
	OpJournalRead  Op = "JOURNAL_READ"
	OpJournalWrite Op = "JOURNAL_WRITE"
	OpJournalCut   Op = "JOURNAL_CUT"
	OpJournalSync  Op = "JOURNAL_SYNC"

	OpSyncAll     Op = "SYNC_ALL"
	OpMarkerWrite Op = "MARKER_WRITE"
	OpMarkerRead  Op = "MARKER_READ"
	OpRemove      Op = "REMOVE"
	OpLock        Op = "LOCK"
	OpTempCreate  Op = "TEMP_CREATE"
	OpTempWrite   Op = "TEMP_WRITE"
	OpTempFsync   Op = "TEMP_FSYNC"
	OpTempRename  Op = "TEMP_RENAME"
	OpTempDrop    Op = "TEMP_DROP"
)

// Before is called before each file-system call with its label and the name it works on. What it returns, if not nil,
// is returned in place of the call's result and the call is not made. It must be safe for concurrent use.
type Before func(op Op, name string) error

// sys is the one door to the file system: every call goes through one of its methods and carries an Op.
// The zero value uses all that the platform has.
type sys struct {
	before Before
	lists  *lists // nil: none is kept
	soon   bool   // nothing is synced: what is written may get lost in a power cut

	// What to do without, because the kernel lacks it (found out by OpenRoot and OpenStore) or a test forbids it.
	noOpenat2, noExchange, noReplace, noTmpfile, noReflink, noCopyRange bool
}

// lists keeps the buffers that directories are listed with.
type lists struct{ pool sync.Pool }

type listBuffer [64 << 10]byte

func (l *lists) get() *listBuffer {
	if l != nil {
		if b, ok := l.pool.Get().(*listBuffer); ok {
			return b
		}
	}
	return new(listBuffer)
}

func (l *lists) put(b *listBuffer) {
	if l != nil {
		l.pool.Put(b)
	}
}

func (s *sys) may(op Op, name string) error {
	if s == nil || s.before == nil {
		return nil
	}
	return s.before(op, name)
}

// renameHow says what a rename does with what is at the new name.
type renameHow uint8

const (
	overwrite renameHow = iota
	noReplace
	exchange
)
