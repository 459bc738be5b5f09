//! From the system's memory to the disk: once a second, by a thread of its own, so that nobody who writes waits for it.

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::failure::Failure;

/// So much may be lost in a power cut, and as much as is written while the disk takes what came before.
const EVERY: Duration = Duration::from_secs(1);

/// What is known of one file's way to the disk.
pub(super) struct Disk {
    file: File,
    has_news: AtomicBool,
    has_lost_lines: AtomicBool,
}

impl Disk {
    /// Starts the thread. It ends when nobody else has this any more.
    pub(super) fn keep(file: File) -> Result<Arc<Self>, Failure> {
        let disk = Arc::new(Self { file, has_news: AtomicBool::new(false), has_lost_lines: AtomicBool::new(false) });
        let kept = Arc::downgrade(&disk);
        let thread = thread::Builder::new().name("audit-disk".to_owned()).spawn(move || {
            while let Some(disk) = kept.upgrade() {
                disk.sync();
                drop(disk);
                thread::sleep(EVERY);
            }
        });
        thread.map_err(|error| Failure::Fault(format!("cannot start the audit's thread: {error}")))?;
        Ok(disk)
    }

    /// Something was written.
    pub(super) fn note(&self) {
        self.has_news.store(true, Ordering::Release);
    }

    /// What a disk has failed to take once is gone, and it says that all is well when it is asked again. So this stays.
    pub(super) fn has_lost_lines(&self) -> bool {
        self.has_lost_lines.load(Ordering::Acquire)
    }

    pub(super) fn sync(&self) {
        if self.has_news.swap(false, Ordering::AcqRel)
            && let Err(error) = self.file.sync_data()
        {
            self.has_lost_lines.store(true, Ordering::Release);
            tracing::error!(%error, "audit: the disk has lost lines; where `audit.mode` is `required`, requests are 503 until it is mended and the server restarted");
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::fd::OwnedFd;
    use std::time::Instant;

    use super::*;

    /// A pipe has no disk, so that bringing it there fails.
    #[test]
    fn what_the_disk_has_lost_is_known_within_moments_and_for_ever() {
        let (_reader, writer) = std::io::pipe().unwrap();
        let disk = Disk::keep(File::from(OwnedFd::from(writer))).unwrap();
        assert!(!disk.has_lost_lines());
        disk.note();
        let started = Instant::now();
        while !disk.has_lost_lines() {
            assert!(started.elapsed() < EVERY * 20);
            thread::sleep(Duration::from_millis(10));
        }
        disk.sync();
        assert!(disk.has_lost_lines());
    }

    #[test]
    fn the_thread_ends_with_the_file() {
        let (_reader, writer) = std::io::pipe().unwrap();
        let disk = Arc::downgrade(&Disk::keep(File::from(OwnedFd::from(writer))).unwrap());
        let started = Instant::now();
        while disk.strong_count() > 0 {
            assert!(started.elapsed() < EVERY * 20);
            thread::sleep(Duration::from_millis(10));
        }
    }
}
