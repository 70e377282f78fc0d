//! Who may use the services, and which server sockets follow from it.

use super::{Context, Engine};
use crate::event::{Event, Severity};
use crate::output::Family;
use crate::server::access::{AccessRule, Permission, Subnet};
use std::collections::BTreeMap;
use std::net::IpAddr;
use timewright_config as config;

/// The two services with an access table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AccessService {
    Ntp,
    Command,
}

/// The rule a directive means; `None` if its host name has no address or its prefix is too long
/// (both were found at start).
pub(super) fn rule(
    directive: &config::AccessRule,
    hosts: &BTreeMap<String, IpAddr>,
) -> Option<AccessRule> {
    let subnet = match &directive.subnet {
        config::Subnet::Any => Subnet::ANY,
        config::Subnet::Prefix { address, bits } => Subnet::new(*address, *bits).ok()?,
        config::Subnet::Name(name) => Subnet::host(*hosts.get(name)?),
    };
    let permission = if directive.allow {
        Permission::Allow
    } else {
        Permission::Deny
    };
    Some(AccessRule {
        permission,
        all: directive.all,
        subnet,
    })
}

impl Engine {
    /// Applies a rule, says so, and opens or closes the server sockets that depend on it.
    pub(crate) fn apply_access_rule(
        &mut self,
        service: AccessService,
        rule: &AccessRule,
        severity: Severity,
        cx: &mut Context<'_>,
    ) {
        let name = match service {
            AccessService::Ntp => {
                self.server.tables.access.apply(rule);
                "NTP"
            }
            AccessService::Command => {
                self.server.command_access.apply(rule);
                "command"
            }
        };
        cx.out.log(Event::new(severity, rule.message(name)));
        self.update_server_sockets(cx);
    }

    fn update_server_sockets(&mut self, cx: &mut Context<'_>) {
        for (slot, family) in [Family::V4, Family::V6].into_iter().enumerate() {
            let wanted = self.server.tables.access.any_allowed(family);
            let Some(held) = self.server.listening.get_mut(slot) else {
                continue;
            };
            if wanted && !*held {
                self.sockets.acquire_server(family, cx.out);
            } else if !wanted && *held {
                self.sockets.release_server(family, cx.out);
            }
            *held = wanted;
        }
    }
}
