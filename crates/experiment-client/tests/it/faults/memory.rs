//! [`Memory`]: the rows without sockets, on a paused clock.

use experiment_client::{Endpoints, Updates};
use experiment_model::Timestamp;
use tokio::runtime::{Builder, Runtime};

use super::{
    Fault, Row, World, answers, disks, each,
    services::Services,
    stage::{Pace, Place, Stage},
    survive,
    wire::Wire,
};

struct Memory {
    wire: Wire,
    disk: disks::Storage,
}

impl World for Memory {
    async fn begin(&mut self, fault: &Fault, stage: &mut Stage) {
        match fault {
            Fault::Services(conduct) => {
                stage.services.misbehave(conduct.clone());
                self.wire.cut(false);
            }
            Fault::Silence(conduct) => {
                stage.services.misbehave(conduct.clone());
                self.wire.cut(true);
            }
            Fault::Clock(millis) => {
                let now = experiment_client::Clock::now(&*stage.clock).unix_millis();
                let then = now.saturating_add(*millis);
                stage.clock.set(Timestamp::from_unix_millis(then));
            }
            Fault::Disk(disk) => self.disk.begin(*disk, &self.wire, stage).await,
            _ => unreachable!("a fault of a real socket"),
        }
    }

    async fn end(&mut self, fault: &Fault, stage: &mut Stage) {
        if let Fault::Disk(disk) = fault {
            self.disk.end(*disk, stage);
        }
        stage.services.recover();
    }
}

/// A runtime whose clock jumps from timer to timer.
pub(super) fn paused() -> Runtime {
    let mut runtime = Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build();
    runtime.expect("a runtime")
}

/// Runs a row in a world of its own.
pub(super) fn run(row: &Row, updates: Updates) {
    paused().block_on(async {
        let services = Services::new();
        let wire = Wire::new(&services.script);
        let disk = disks::Storage::new(row);
        let is_streaming = updates == Updates::streaming();
        let spools = is_streaming || matches!(row.fault, Fault::Disk(_));
        let place = Place {
            transport: std::sync::Arc::new(wire.clone()),
            endpoints: Endpoints::at("http://services.invalid").expect("an address"),
            updates,
            pace: Pace::Virtual,
            spool: spools.then(|| disk.spool(row)),
            // It is forced to the disk, which takes real time.
            file: matches!(row.fault, Fault::Disk(_)).then(|| disk.file()),
        };
        let mut stage = Stage::new(services, place);
        survive(row, &mut stage, &mut Memory { wire, disk }).await;
    });
}

#[test]
fn every_row_is_survived_with_polling() {
    each(&answers::rows(), |row| run(row, Updates::polling()));
}

#[test]
fn every_row_is_survived_with_streaming() {
    each(&answers::rows(), |row| run(row, Updates::streaming()));
}

#[test]
fn every_fault_of_a_disk_is_survived() {
    each(&disks::rows(), |row| run(row, Updates::polling()));
}
