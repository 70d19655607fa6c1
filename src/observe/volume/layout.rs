//! Which volumes there are: by the settings, by mssql.conf, and by the mounts that the supervisor sees.

use std::path::{Path, PathBuf};

use super::mounts::MountTable;
use crate::config::VolumeConfig;
use crate::decide::volumes::{EngineFiles, Layout, plan};
use crate::observe::mssql_conf;
use crate::observe::process::PROC_ROOT;

/// Returns the layout as it is now. mssql.conf lies on one of the volumes, so that this may wait for it.
#[must_use]
pub fn read(config: &VolumeConfig) -> Layout {
    let files = files(config);
    let mounts = MountTable::of_self(Path::new(PROC_ROOT));
    let below = mounts.directories_below(&config.data_dir);
    plan(
        &files,
        &config.data_dir,
        |directory| mounts.holding(directory),
        &below,
    )
}

/// Returns where the engine keeps its files, as its container names them: what is set counts before
/// mssql.conf, as MSSQL_* do for the engine, and that before the image's defaults.
#[must_use]
pub fn files(config: &VolumeConfig) -> EngineFiles {
    let conf = mssql_conf::read(&config.data_dir);
    let mut files = EngineFiles::below(&config.engine_data_dir);
    let places = &config.places;
    let chosen = |set: &Option<PathBuf>, key: &str| {
        let configured = || conf.get("filelocation", key).map(PathBuf::from);
        set.clone()
            .or_else(configured)
            .filter(|path| path.is_absolute())
    };
    let put = |place: &mut PathBuf, chosen: Option<PathBuf>| {
        if let Some(chosen) = chosen {
            *place = chosen;
        }
    };
    put(&mut files.master, chosen(&places.master, "masterdatafile"));
    put(
        &mut files.master_log,
        chosen(&places.master_log, "masterlogfile"),
    );
    put(&mut files.data, chosen(&places.data, "defaultdatadir"));
    put(&mut files.log, chosen(&places.log, "defaultlogdir"));
    put(
        &mut files.backup,
        chosen(&places.backup, "defaultbackupdir"),
    );
    put(&mut files.dump, chosen(&places.dump, "defaultdumpdir"));
    put(
        &mut files.errorlog,
        chosen(&places.errorlog, "errorlogfile"),
    );
    files
}
