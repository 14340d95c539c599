//! A service whose image is built anew while its files change.

use std::collections::{BTreeMap, BTreeSet};

use stack_engine::engine::Engine;
use stack_file::model::PullPolicy;
use stack_plan::containers::{BuildPolicy, Policy, plan_images};
use stack_plan::desired::ServiceSpec;
use stack_plan::observed::Observed;

use super::Session;
use crate::commands::build::with_bases;
use crate::commands::converge::Converge;
use crate::render::Renderer;
use crate::{commands, lock};

impl Session<'_> {
    /// Builds the image of a service and replaces its containers where it is another one. Whether
    /// they were replaced; `None` when something failed, which was told.
    pub(super) async fn rebuild(
        &self,
        service: &str,
        renderer: &mut Renderer,
    ) -> anyhow::Result<Option<bool>> {
        let desired = &self.project.desired;
        let alone = lock::alone(self.engine, &desired.project, "watch", renderer).await?;
        let observed = self.engine.observe(&self.project.query()).await?;
        let policy = Policy {
            services: with_bases(desired, &[service.to_owned()]),
            no_deps: true,
            build: BuildPolicy::Always,
            ..Policy::default()
        };
        let mut plan = plan_images(desired, &observed, &policy).build_steps();
        plan.unchanged.clear();
        plan.warnings.clear();
        let (engine, pace) = (self.engine, self.settings.pace);
        let built = commands::carry_out(engine, plan, pace, Some(self.project), renderer).await;
        if !built.succeeded() {
            alone.finish();
            renderer.note(&format!("{service}  stays as it was; it is built again at the next change"));
            return Ok(None);
        }
        let before = ids(&observed, service);
        if before.is_empty() {
            alone.finish();
            renderer.note(&format!("{service}  has no container to replace"));
            return Ok(Some(false));
        }
        // As many containers as there are, whatever the file says: they may have been scaled.
        let mut numbers: BTreeMap<String, u32> = BTreeMap::new();
        for container in observed.containers.iter().filter(|container| !container.one_off) {
            *numbers.entry(container.service.clone()).or_default() += 1;
        }
        let services: Vec<String> =
            self.with_followers(service).into_iter().filter(|name| numbers.contains_key(name)).collect();
        numbers.retain(|name, _| services.contains(name));
        let project = self.project.scaled(&numbers);
        let policy = Policy {
            services,
            no_deps: true,
            build: BuildPolicy::Never,
            pull: Some(PullPolicy::Never),
            ..Policy::default()
        };
        let converge = Converge { engine, project: &project, policy, pace, may_lose: Vec::new() };
        let looked = converge.look().await?;
        // Not each save of a file is a generation: what is watched is on its way.
        let summary = match converge.prepare(looked, renderer).await? {
            Ok((plan, _)) => converge.run(plan, renderer).await,
            Err(summary) => summary,
        };
        alone.finish();
        if !summary.succeeded() {
            return Ok(None);
        }
        let replaced = ids(&engine.observe(&self.project.query()).await?, service) != before;
        if !replaced {
            renderer.note(&format!("{service}  the image is the same: its containers stay"));
        } else if self.settings.prune
            && let Err(error) = engine.prune_images(&desired.project).await
        {
            renderer.warn(&format!("the image that was replaced is left: {error}"));
        }
        Ok(Some(replaced))
    }

    /// The service, and those that come with it when its containers are other ones: by
    /// `depends_on` with `restart`, and because they use what a container of it lends.
    fn with_followers(&self, service: &str) -> Vec<String> {
        let mut all = vec![service.to_owned()];
        let mut next = 0;
        while next < all.len() {
            let follows = |spec: &&ServiceSpec| {
                let needed = spec.service.depends_on.get(&all[next]);
                needed.is_some_and(|needed| needed.restart)
                    || spec.lenders.iter().any(|lender| lender.service == all[next])
            };
            let further: Vec<String> = (self.project.desired.services.iter())
                .filter(follows)
                .map(|spec| spec.name().to_owned())
                .filter(|name| !all.contains(name))
                .collect();
            all.extend(further);
            next += 1;
        }
        all
    }
}

/// The containers of a service.
fn ids(observed: &Observed, service: &str) -> BTreeSet<String> {
    let containers = observed.containers.iter();
    containers
        .filter(|container| container.service == service && !container.one_off)
        .map(|container| container.id.clone())
        .collect()
}
