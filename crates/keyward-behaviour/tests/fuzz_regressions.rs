//! The seeds of the fuzz targets, and every input with which the fuzzer has found a fault, on a stable toolchain.

use std::{
    collections::BTreeSet,
    fs,
    panic::catch_unwind,
    path::{Path, PathBuf},
    process::ExitCode,
};

use keyward_behaviour::fuzz::{Target, targets};
use libtest_mimic::{Arguments, Failed, Trial};

fn main() -> ExitCode {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz");
    let mut trials = vec![{
        let folder = folder.clone();
        Trial::test("folders are those of the targets", move || folders_are_those_of_the_targets(&folder))
    }];
    for target in targets() {
        for kind in ["seeds", "regressions"] {
            let folder = folder.join(kind).join(target.name);
            trials.push(Trial::test(format!("{} {kind}", target.name), move || replay(target, &folder)));
        }
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// Runs every input of a folder. An empty folder would prove nothing, and a missing one is a name spelt wrong.
fn replay(target: Target, folder: &Path) -> Result<(), Failed> {
    let inputs = files(folder)?;
    if inputs.is_empty() {
        return Err(format!("{} holds no input", folder.display()).into());
    }
    for input in inputs {
        let bytes = fs::read(&input)?;
        // The target tells what is wrong; it cannot know which input it was.
        catch_unwind(|| (target.run)(&bytes))
            .map_err(|_| format!("{} violates what {} promises", input.display(), target.name))?;
    }
    Ok(())
}

/// A folder that no target replays is forgotten.
fn folders_are_those_of_the_targets(fuzz: &Path) -> Result<(), Failed> {
    let expected: BTreeSet<String> = targets().iter().map(|target| target.name.to_owned()).collect();
    for kind in ["seeds", "regressions"] {
        let found: BTreeSet<String> =
            files(&fuzz.join(kind))?.iter().filter_map(|path| Some(path.file_name()?.to_str()?.to_owned())).collect();
        if found != expected {
            return Err(format!("{kind}: expected the folders {expected:?}, found {found:?}").into());
        }
    }
    let programs: BTreeSet<String> =
        files(&fuzz.join("fuzz_targets"))?.iter().filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned())).collect();
    if programs != expected {
        return Err(format!("expected the programs {expected:?}, found {programs:?}").into());
    }
    Ok(())
}

fn files(folder: &Path) -> Result<Vec<PathBuf>, Failed> {
    let entries = fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    files.sort();
    Ok(files)
}
