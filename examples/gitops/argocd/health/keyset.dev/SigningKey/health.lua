local status = obj.status or {}

-- What was said of an earlier generation says nothing about this one.
if status.observedGeneration == obj.metadata.generation then
  for _, condition in ipairs(status.conditions or {}) do
    if condition.type == "Ready" and condition.status == "True" then
      return { status = "Healthy", message = condition.message }
    elseif condition.type == "Ready" and condition.status == "False" then
      return { status = "Degraded", message = condition.message }
    end
  end
end
return { status = "Progressing", message = "Waiting for the operator to see this generation" }
