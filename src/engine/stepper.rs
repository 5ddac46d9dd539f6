//! `--step`: a person says which tasks run.

use crate::engine::compile::TaskPlan;
use crate::engine::naming::task_name;
use crate::engine::scene::Scene;
use crate::names::HostName;

/// `--step`: asks before each task.
pub(crate) struct Stepper {
    asking: bool,
}

impl Stepper {
    /// Asks when `on`.
    pub(crate) fn new(on: bool) -> Self {
        Self { asking: on }
    }

    /// Tells whether a task may run.
    pub(crate) async fn allows(&mut self, scene: &Scene, plan: &TaskPlan, host: &HostName) -> bool {
        if !self.asking {
            return true;
        }
        let name = task_name(scene, host, plan);
        let question = crate::modules::Question {
            prompt: format!("Perform task: TASK: {name} (N)o/(y)es/(c)ontinue: "),
            echo: true,
            seconds: None,
        };
        let answer = scene.run.world.asker.ask(&question).await.unwrap_or_default();
        match answer.trim().to_ascii_lowercase().as_str() {
            "y" | "yes" => true,
            "c" | "continue" => {
                self.asking = false;
                true
            }
            _ => false,
        }
    }
}
