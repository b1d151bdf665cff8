//! `runtime::Brake`: cutting a server that is being started.

use crate::brake::Brake;
use crate::control::{Control, Order, StopHandle};
use crate::support::explore;
use loom::thread;
use std::sync::Arc;

/// A server that is cut while it is being started is cut: by who cuts, or by who starts.
#[test]
fn a_cut_during_the_start_is_not_lost() {
    explore(|| {
        let brake = Arc::new(Brake::default());
        let control = Control::new(1);
        let there = brake.clone();
        let cutter = thread::spawn(move || there.cut());
        brake.fit(StopHandle::new(control.clone()));
        cutter.join().unwrap();
        assert_eq!(control.order(), Order::Cut);
    });
}
