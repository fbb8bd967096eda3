// A peer for measuring, no part of the service: what it does for an Experiment, as a controller-runtime operator does it.
//
// Everything is as kubebuilder scaffolds it: one worker, a cache of what is owned, CreateOrUpdate for each child, and the
// status at the end. It knows one shape of Experiment, remembers nothing, and validates nothing.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"log"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
)

const fileName = "experiment.json"

var (
	experimentKind = schema.GroupVersionKind{Group: "testbench.agentic-layer.ai", Version: "v1alpha1", Kind: "Experiment"}
	workflowKind   = schema.GroupVersionKind{Group: "testworkflows.testkube.io", Version: "v1", Kind: "TestWorkflow"}
	triggerKind    = schema.GroupVersionKind{Group: "tests.testkube.io", Version: "v1", Kind: "TestTrigger"}
)

// What would be generated types in an operator of its own.
type fields = map[string]any

func object(kind schema.GroupVersionKind, namespace, name string) *unstructured.Unstructured {
	obj := &unstructured.Unstructured{}
	obj.SetGroupVersionKind(kind)
	obj.SetNamespace(namespace)
	obj.SetName(name)
	return obj
}

type reconciler struct{ client.Client }

func (r *reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	experiment := object(experimentKind, req.Namespace, req.Name)
	if err := r.Get(ctx, req.NamespacedName, experiment); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if experiment.GetDeletionTimestamp() != nil {
		return ctrl.Result{}, nil
	}
	document, err := experimentJSON(experiment)
	if err != nil {
		return ctrl.Result{}, err
	}
	agent, _, _ := unstructured.NestedString(experiment.Object, "spec", "agentRef", "name")

	configMap := &corev1.ConfigMap{}
	configMap.Namespace, configMap.Name = req.Namespace, req.Name+"-experiment"
	workflow := object(workflowKind, req.Namespace, req.Name+"-workflow")
	trigger := object(triggerKind, req.Namespace, req.Name+"-trigger")
	for _, child := range []struct {
		client.Object
		set func()
	}{
		{configMap, func() { configMap.Data = map[string]string{fileName: document} }},
		{workflow, func() {
			workflow.Object["spec"] = workflowSpec("http://"+agent+"."+req.Namespace+":8000", configMap.Name)
		}},
		{trigger, func() { trigger.Object["spec"] = triggerSpec(req.Namespace, agent, workflow.GetName()) }},
	} {
		if _, err := controllerutil.CreateOrUpdate(ctx, r.Client, child.Object, func() error {
			child.set()
			return controllerutil.SetControllerReference(experiment, child.Object, r.Scheme())
		}); err != nil {
			return ctrl.Result{}, err
		}
	}
	experiment.Object["status"] = status(experiment.GetGeneration(), req.Namespace, configMap.Name, workflow.GetName(), trigger.GetName())
	return ctrl.Result{}, r.Status().Update(ctx, experiment)
}

func experimentJSON(experiment *unstructured.Unstructured) (string, error) {
	scenarios, _, _ := unstructured.NestedSlice(experiment.Object, "spec", "scenarios")
	model, _, _ := unstructured.NestedString(experiment.Object, "spec", "llmAsAJudgeModel")
	document, err := json.MarshalIndent(fields{"llm_as_a_judge_model": model, "scenarios": scenarios}, "", "  ")
	return string(document), err
}

func workflowSpec(agentURL, configMap string) fields {
	file := fields{"configMapKeyRef": fields{"name": configMap, "key": fileName}}
	return fields{
		"use": []any{
			fields{"name": "run-template", "config": fields{"agentUrl": agentURL}},
			fields{"name": "evaluate-template"},
			fields{"name": "publish-template"},
			fields{"name": "visualize-template"},
		},
		"content": fields{"files": []any{fields{"path": "/data/datasets/" + fileName, "contentFrom": file}}},
	}
}

func triggerSpec(namespace, agent, workflow string) fields {
	return fields{
		"resource":          "deployment",
		"resourceSelector":  fields{"name": agent, "namespace": namespace},
		"event":             "modified",
		"action":            "run",
		"execution":         "testworkflow",
		"concurrencyPolicy": "allow",
		"testSelector":      fields{"name": workflow, "namespace": namespace},
		"disabled":          false,
	}
}

func status(generation int64, namespace, configMap, workflow, trigger string) fields {
	now := time.Now().UTC().Format(time.RFC3339)
	condition := func(kind string) fields {
		return fields{
			"type": kind, "status": "True", "reason": "Reconciled", "message": "",
			"lastTransitionTime": now, "observedGeneration": generation,
		}
	}
	return fields{
		"conditions": []any{condition("Ready"), condition("WorkflowReady")},
		"generatedResources": []any{
			fields{"kind": "ConfigMap", "name": configMap, "namespace": namespace},
			fields{"kind": "TestWorkflow", "name": workflow, "namespace": namespace},
			fields{"kind": "TestTrigger", "name": trigger, "namespace": namespace},
		},
	}
}

func run(workers int) error {
	config, err := ctrl.GetConfig()
	if err != nil {
		return err
	}
	manager, err := ctrl.NewManager(config, ctrl.Options{Metrics: server.Options{BindAddress: "0"}})
	if err != nil {
		return err
	}
	err = ctrl.NewControllerManagedBy(manager).Named("experiment").
		For(object(experimentKind, "", ""), builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Owns(&corev1.ConfigMap{}).Owns(object(workflowKind, "", "")).Owns(object(triggerKind, "", "")).
		WithOptions(controller.Options{MaxConcurrentReconciles: workers}).
		Complete(&reconciler{manager.GetClient()})
	if err != nil {
		return err
	}
	return manager.Start(ctrl.SetupSignalHandler())
}

func main() {
	workers := flag.Int("workers", 1, "how many Experiments are reconciled at a time")
	logging := zap.Options{}
	logging.BindFlags(flag.CommandLine)
	flag.Parse()
	ctrl.SetLogger(zap.New(zap.UseFlagOptions(&logging)))
	if err := run(*workers); err != nil {
		log.Fatal(err)
	}
}
