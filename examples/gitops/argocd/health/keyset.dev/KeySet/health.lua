local status = obj.status or {}

-- The message of the condition, if it has that value.
local function told(name, value)
  for _, condition in ipairs(status.conditions or {}) do
    if condition.type == name and condition.status == value then
      return condition.message
    end
  end
end

-- What was said of an earlier generation says nothing about this one.
if status.observedGeneration ~= obj.metadata.generation then
  return { status = "Progressing", message = "Waiting for the operator to see this generation" }
end
local stalled, reconciling = told("Stalled", "True"), told("Reconciling", "True")
local ready, unready = told("Ready", "True"), told("Ready", "False")
if stalled then
  return { status = "Degraded", message = stalled }
elseif reconciling then
  return { status = "Progressing", message = reconciling }
elseif unready then
  return { status = "Degraded", message = unready }
elseif ready then
  return { status = "Healthy", message = ready }
end
return { status = "Progressing", message = "Waiting for the operator" }
