//! What all services have in common: one server's process, in a folder and on a port that stay its own while it is down.

use std::{
    fs::{self, OpenOptions},
    hash::{BuildHasher as _, RandomState},
    io,
    net::{Ipv4Addr, TcpListener},
    ops::Range,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU16, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use super::{
    ServiceError,
    error::failed,
    folder::Folder,
    processes::{self, Outcome},
};

/// How long is waited between two looks at a server that starts or shuts down.
const STEP: Duration = Duration::from_millis(2);

/// A server that runs until this is dropped, and never longer than the process. Its folder holds `data`, in which it works,
/// and `log`.
pub(super) struct Server {
    service: &'static Service,
    port: AtomicU16,
    child: Mutex<Option<Child>>,
    folder: Folder,
}

/// What a service has of its own.
pub(super) struct Service {
    pub(super) name: &'static str,
    /// How to mend that it is missing.
    pub(super) install: &'static str,
    /// The signal at which it shuts down without waiting for its clients.
    pub(super) shutdown: &'static str,
    /// How long it may take to start, recovery from a crash included, or to shut down.
    pub(super) patience: Duration,
    /// Apart from those of every other service. And not from those which the kernel gives away when asked for port 0: it would
    /// give a killed server's port to somebody else before it is started again, and a client that keeps trying to reach it
    /// could be given it as its own, and be connected with itself.
    pub(super) ports: Range<u16>,
}

impl Server {
    pub(super) fn new(service: &'static Service, folder: Folder) -> Self {
        Self { service, port: AtomicU16::new(0), child: Mutex::new(None), folder }
    }

    /// Finds a port on which `launch` succeeds.
    pub(super) fn start(&self, launch: impl Fn() -> Result<Option<Child>, ServiceError>) -> Result<(), ServiceError> {
        for _ in 0..20 {
            self.port.store(self.free_port()?, Ordering::Relaxed);
            if let Some(child) = launch()? {
                *self.child() = Some(child);
                return Ok(());
            }
        }
        Err(self.no_port())
    }

    pub(super) fn start_again(&self, launch: impl Fn() -> Result<Option<Child>, ServiceError>) -> Result<(), ServiceError> {
        let mut child = self.expect_ended()?;
        let deadline = Instant::now() + self.service.patience;
        loop {
            *child = launch()?;
            if child.is_some() {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(self.no_port());
            }
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// Runs a program in the data folder and waits until it `is_ready`, which is handed what it has said so far. `None` if
    /// somebody else has the port.
    pub(super) fn launch(
        &self,
        mut program: Command,
        is_ready: impl Fn(&Child, &str) -> bool,
    ) -> Result<Option<Child>, ServiceError> {
        let Service { name, install, patience, .. } = self.service;
        let logged = || fs::read(self.log_file()).unwrap_or_default();
        let logged_before = logged().len();
        let said = || String::from_utf8_lossy(logged().get(logged_before..).unwrap_or_default()).into_owned();
        let open_log = || OpenOptions::new().create(true).append(true).open(self.log_file());
        let log = || open_log().map_err(|error| failed("open", &self.log_file(), &error));
        let mut child = program
            .current_dir(self.data())
            // An interrupt from the terminal is for the tests, not for their server.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(log()?)
            .stderr(log()?)
            .spawn()
            .map_err(|error| {
                ServiceError::new(format!("cannot run `{}`: {error}; {install}", program.get_program().display()))
            })?;

        let deadline = Instant::now() + *patience;
        while !is_ready(&child, &said()) {
            if let Some(status) = self.waited(child.try_wait())? {
                let said = said();
                if said.contains("Address already in use") {
                    return Ok(None);
                }
                return Err(ServiceError::new(format!("{name} ended while it started ({status}); mend what it said:\n{said}")));
            }
            if Instant::now() > deadline {
                self.bring(&child, Outcome::Gone)?;
                self.waited(child.wait())?;
                let said = said();
                return Err(ServiceError::new(format!("{name} did not start within {patience:?}; mend what it said:\n{said}")));
            }
            thread::sleep(STEP);
        }
        Ok(Some(child))
    }

    pub(super) fn kill(&self) -> Result<(), ServiceError> {
        let mut child = self.child();
        if let Some(running) = child.as_mut() {
            self.bring(running, Outcome::Gone)?;
            self.waited(running.wait())?;
        }
        *child = None;
        Ok(())
    }

    pub(super) fn pause(&self) -> Result<(), ServiceError> {
        self.child().as_ref().map_or(Ok(()), |child| self.bring(child, Outcome::Stopped))
    }

    pub(super) fn resume(&self) -> Result<(), ServiceError> {
        self.child().as_ref().map_or(Ok(()), |child| self.bring(child, Outcome::Running))
    }

    pub(super) fn stop(&self) -> Result<(), ServiceError> {
        let mut child = self.child();
        let Some(running) = child.as_mut() else { return Ok(()) };
        self.bring(running, Outcome::Running)?;
        processes::signal(self.service.shutdown, &[running.id()])?;
        let deadline = Instant::now() + self.service.patience;
        while self.waited(running.try_wait())?.is_none() {
            if Instant::now() > deadline {
                let Service { name, .. } = self.service;
                return Err(ServiceError::new(format!("{name} does not shut down; it said:\n{}", self.log())));
            }
            thread::sleep(STEP);
        }
        *child = None;
        Ok(())
    }

    /// The place of a server that was killed or stopped, or has ended by itself.
    pub(super) fn expect_ended(&self) -> Result<MutexGuard<'_, Option<Child>>, ServiceError> {
        let mut child = self.child();
        if let Some(running) = child.as_mut()
            && self.waited(running.try_wait())?.is_none()
        {
            return Err(ServiceError::new("the server runs; call `kill` or `stop` first"));
        }
        *child = None;
        Ok(child)
    }

    pub(super) fn port(&self) -> u16 {
        self.port.load(Ordering::Relaxed)
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn data(&self) -> PathBuf {
        self.folder().join("data")
    }

    pub(super) fn log(&self) -> String {
        fs::read(self.log_file()).map_or_else(|error| error.to_string(), |log| String::from_utf8_lossy(&log).into_owned())
    }

    fn log_file(&self) -> PathBuf {
        self.folder().join("log")
    }

    fn child(&self) -> MutexGuard<'_, Option<Child>> {
        // A test that panicked has to be able to clean up.
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn bring(&self, child: &Child, outcome: Outcome) -> Result<(), ServiceError> {
        // The child that was started first: PostgreSQL's would replace one of its own that dies before it.
        processes::bring(&self.data(), child.id(), outcome)
    }

    fn waited<T>(&self, waited: io::Result<T>) -> Result<T, ServiceError> {
        let Service { name, .. } = self.service;
        waited.map_err(|error| ServiceError::new(format!("cannot wait for {name}: {error}; do not wait for it elsewhere")))
    }

    fn free_port(&self) -> Result<u16, ServiceError> {
        let Range { start, end } = self.service.ports;
        (0..1000)
            .filter_map(|_| u16::try_from(random() % u64::from(end - start)).ok().map(|offset| start + offset))
            .find(|&port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok())
            .ok_or_else(|| self.no_port())
    }

    fn no_port(&self) -> ServiceError {
        let Service { name, ports, .. } = self.service;
        ServiceError::new(format!("no port for {name} is free; end what listens on {}-{}", ports.start, ports.end - 1))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The folder would kill it too, but a child that nobody has waited for stays a zombie.
        let _ = self.kill();
    }
}

/// The standard library's one source of chance. It has to differ between processes, and is no secret of anybody's.
pub(super) fn random() -> u64 {
    RandomState::new().hash_one(())
}
