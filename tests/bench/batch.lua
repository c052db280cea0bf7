-- Batches of 500 events. args[3] "same": one session a batch, as an SDK sends
-- them; "new": another session in each event.
local requests = {}
local at = 0

function init(args)
    wrk.method = "POST"
    wrk.headers["Content-Type"] = "application/json"
    for b = 1, 16 do
        local events = {}
        for i = 1, 500 do
            local session = args[3] == "same" and b or (b * 500 + i)
            events[i] = string.format(
                '{"timestamp":"%s","session_id":"sess_%06d_7f3a9c1e52b8","action":"File Uploaded",' ..
                '"consent":{"product":true},"details":{"file_name":"My Secret Demo (feat. Jane Doe) take %04d.wav",' ..
                '"file_size":%d,"file_type":"audio/x-wav","folder":"/home/jane/Music","bpm":128,"key":"F#m"},' ..
                '"context":{"url":"https://mixbot.example/upload?utm_source=mail","title":"Mixbot - upload"}}',
                args[1], session, i, 40000000 + i)
        end
        requests[b] = wrk.format(nil, args[2], nil, "[" .. table.concat(events, ",") .. "]")
    end
end

function request()
    at = at % 16 + 1
    return requests[at]
end
