//! Serves the conformance paths with one adapter, for judges of any language.

use std::{
    env, fs,
    io::{self, Write as _},
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Parser;
use keyward::{
    Guard, Policy, SystemRandom,
    audit::{LineFormat, Lines},
    ticket::{ServerSecret, Tickets},
};
use keyward_behaviour::{adapters, conformance::Conformance, harness::Adapter, service};

/// Serves the conformance paths with one adapter.
#[derive(Debug, Parser)]
struct Arguments {
    /// The framework that serves.
    #[arg(long)]
    adapter: String,
    /// The policy file.
    #[arg(long)]
    policy: PathBuf,
    /// The keys, one JSON object a line.
    #[arg(long)]
    keys: PathBuf,
    /// Where to listen; port 0 picks one.
    #[arg(long)]
    listen: SocketAddr,
    /// Where audit events are appended, one JSON object a line.
    #[arg(long)]
    audit: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match serve(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::from(2)
        }
    }
}

async fn serve(arguments: Arguments) -> Result<(), String> {
    let adapter = adapter(&arguments.adapter)?;
    let policy = read(&arguments.policy)?;
    let policy_name = arguments.policy.display().to_string();
    let parsed = Policy::from_toml(&policy_name, &policy).map_err(|error| error.to_string())?;
    let keys = service::store(&arguments.keys.display().to_string(), &read(&arguments.keys)?).await?;
    let mut builder = Guard::builder(parsed).store(keys).environment(|name| env::var_os(name));
    // Only one that names tickets in its policy takes them. Those of one run end with it.
    let secret = ServerSecret::generate(&SystemRandom).map_err(|fault| fault.to_string())?;
    builder = builder.tickets(Tickets::new(secret));
    if let Some(path) = &arguments.audit {
        let file = fs::File::options().create(true).append(true).open(path).map_err(|error| at(path, &error))?;
        builder = builder.audit(Lines::new(file, LineFormat::Json));
    }
    let guard = builder.build().map_err(|error| format!("{policy_name}: {error}"))?;
    let conformance = Conformance::new(guard, &policy).map_err(|error| format!("{policy_name}: {error}"))?;
    let listener = TcpListener::bind(arguments.listen).map_err(|error| format!("{}: {error}", arguments.listen))?;
    listener.set_nonblocking(true).map_err(|error| error.to_string())?;
    let running = (adapter.start)(conformance, listener).map_err(|error| error.to_string())?;
    writeln!(io::stdout(), "listening on {}", running.address()).map_err(|error| error.to_string())?;
    tokio::signal::ctrl_c().await.map_err(|error| error.to_string())
}

fn adapter(name: &str) -> Result<Adapter, String> {
    let all = adapters::all();
    let known: Vec<&str> = all.iter().map(|adapter| adapter.name).collect();
    let found = all.iter().find(|adapter| adapter.name == name).copied();
    found.ok_or_else(|| format!("there is no adapter {name}; there are {}", known.join(", ")))
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| at(path, &error))
}

fn at(path: &Path, error: &io::Error) -> String {
    format!("{}: {error}", path.display())
}
