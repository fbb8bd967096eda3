-- How an Experiment stands, for Argo CD, which runs this on each (docs/gitops.md). It has no string functions there.
local status = obj.status or {}
local found = {}
for _, condition in ipairs(status.conditions or {}) do
  found[condition.type] = condition
end

local function health(name, condition, otherwise)
  return { status = name, message = condition and condition.message or otherwise }
end

if obj.metadata.deletionTimestamp then
  return health("Progressing", nil, "It is being deleted, and what was generated for it before it.")
end
if obj.spec and obj.spec.suspend then
  return health("Suspended", nil, "spec.suspend is true.")
end
-- -1, none at all, or that of an earlier spec: whatever the conditions say, they do not speak of this one.
if status.observedGeneration ~= obj.metadata.generation then
  return health("Progressing", nil, "It has not been reconciled yet as it is now.")
end
if found.Stalled and found.Stalled.status == "True" then
  return health("Degraded", found.Stalled)
end
if found.Reconciling and found.Reconciling.status == "True" then
  return health("Progressing", found.Reconciling)
end
if found.Ready and found.Ready.status == "True" then
  return health("Healthy", found.Ready)
end
return health("Progressing", found.Ready, "There is no condition Ready yet.")
